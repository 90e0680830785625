"""The workload: stages in layers of ten over ten sources, and what they must write.

A stage copies the first half of one input, then of another. So a change in the first half of a
source reaches all columns within ten layers by its readers' names, but few by their bytes.
"""

import re
from dataclasses import dataclass

WIDTH = 10
FIRST, SECOND = 500, 490


@dataclass
class Stage:
    """A command that reads two files and writes one."""

    name: str
    inputs: list
    out: str
    command: str


class Unusable(Exception):
    """The folder's name would need quoting that not all tools do alike."""


def stages(count, ran):
    """Each appends its number to `ran`, so that counting does not depend on what a tool says."""
    if not re.fullmatch(r"[\w/.+-]+", str(ran)):
        raise Unusable(f"`{ran}` holds characters that a shell would take apart: use another CARGO_TARGET_DIR")
    made = []
    for number in range(count):
        first, second = (path(place) for place in places(number))
        out = path(number)
        copy = f"head -c {FIRST} {first}; head -c {SECOND} {second}; echo {number}"
        made.append(Stage(f"s{number}", [first, second], out, f"{{ {copy}; }} > {out} && echo {number} >> {ran}"))
    return made


def places(number):
    """What a stage reads: negative numbers are sources, -1 the first."""
    layer, column = divmod(number, WIDTH)
    columns = column, (column + 1) % WIDTH
    return [-1 - c if layer == 0 else (layer - 1) * WIDTH + c for c in columns]


def path(place):
    return f"src/{-1 - place}.txt" if place < 0 else f"out/{place}.txt"


def last(made):
    """The outs that nobody reads: reaching them reaches everything."""
    read = {name for stage in made for name in stage.inputs}
    return [stage.out for stage in made if stage.out not in read]


def source(number, edited=False):
    """About 1 KB; an edit changes its first letter."""
    text = "".join(f"source {number}, line {line}\n" for line in range(50))
    return (("S" + text[1:]) if edited else text).encode()


def write_sources(folder):
    (folder / "src").mkdir(parents=True)
    (folder / "out").mkdir()
    for number in range(WIDTH):
        (folder / path(-1 - number)).write_bytes(source(number))


def write_first(folder, edited):
    """Writes the first source anew, with or without the edit."""
    (folder / path(-1)).write_bytes(source(0, edited))


def wrong_outs(folder, count, edited=False):
    """The outs that do not hold what their stages write."""
    held = {-1 - number: source(number, edited and number == 0) for number in range(WIDTH)}
    wrong = []
    for number in range(count):
        first, second = places(number)
        held[number] = held[first][:FIRST] + held[second][:SECOND] + f"{number}\n".encode()
        file = folder / path(number)
        if not file.is_file() or file.read_bytes() != held[number]:
            wrong.append(path(number))
    return wrong
