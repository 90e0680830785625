//! A file system gives the number of a removed file to a new one. On an ext4 of its own, where that
//! happens at once, no file may be taken for the one that had its number before.

use crate::space::Space;

/// Folders of small read-only files that all have the same size and time, as reproducible archives
/// do; gc between versions; then back to the first versions. Exits with 77 where it can't be tried.
const SCRIPT: &str = r#"
mount -o loop disk.img disk || exit 77
cp pipeline.yaml disk; cd disk || exit 77
version() { sed -i "s/^params: .*/params: {v: $1}/" pipeline.yaml; "$RESTAGE" reproduce -q >&2; }
for v in 101 102 103; do version $v || exit 1; done
"$RESTAGE" gc >&2 || exit 1
for v in 104 105 106; do version $v || exit 1; done
for v in 101 102 103 104 105 106; do
    version $v || exit 1
    for file in d/*; do [ "$(cat $file)" = "$v ${file#d/}" ] || { echo "$file of $v says $(cat $file)"; exit 2; }; done
    [ "$(cat one.txt)" = "$v 007" ] || { echo "one.txt of $v says $(cat one.txt)"; exit 2; }
done
"$RESTAGE" fsck >&2 || { echo "fsck found damage"; exit 3; }
"#;

#[test]
fn a_removed_objects_number_does_not_vouch_for_a_new_file() {
    let space = Space::empty();
    space.write(
        "pipeline.yaml",
        "schema: 1\nname: test\nparams: {v: 0}\nstages:\n  a: {cmd: 'mkdir d; for i in $(seq -w 200); do echo ${v} $i > d/$i; done; touch -d @0 d/*; chmod 444 d/*', outs: [d]}\n  b: {cmd: 'cat d/007 > one.txt', deps: [d], outs: [one.txt]}\n",
    );
    if let Some(said) = space.on_own_disk(200 << 20, SCRIPT, &[]) {
        said.exits(0);
    }
}
