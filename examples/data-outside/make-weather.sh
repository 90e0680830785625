# Makes a small data set in the folder $1.
set -e
mkdir -p "$1/2026"
printf 'day,degrees\n2025-06-01,19.5\n2025-06-02,21.0\n' > "$1/2025.csv"
printf 'day,degrees\n2026-06-01,24.5\n2026-06-02,31.0\n' > "$1/2026/june.csv"
printf 'day,degrees\n2026-07-01,28.0\n2026-07-02,29.5\n' > "$1/2026/july.csv"
