"""Folders of labelled clips for `streamapp evaluate tracking | stability`, made of pictures of the shared media.

`python -m tests.evaluation.halls FOLDER`: FOLDER/first and FOLDER/second, on which rules were chosen, and FOLDER/third.
Eight clips of ten seconds each: one enrolled person and two strangers, half of them far off, some blurred, who cross
and hide each other. 63 more people are enrolled who are in no clip. Nothing of it belongs in the repository.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.labelled_video import Actor, write_clip
from tests.shared_data import shared_folder

CLIPS, CLIP_S = 8, 10.0
_PAIRS = "pairs/deepface/img{}.jpg"
PEOPLE: dict[int, tuple[Sequence[int], Sequence[int]]] = {
    0: ((1,), (2, 4, 6, 7)),
    1: ((13,), (14, 15)),
    2: ((17,), (16,)),
    3: ((19,), (18,)),
    4: ((21,), (20,)),
    5: ((22,), (23,)),
    6: ((25,), (24,)),
    7: ((12,), (3,)),
    8: ((9,), (8,)),
}
"""Of each person of master.csv, the numbers of the pictures that are enrolled and of those that are in clips."""


def write_hall(folder: Path, enrolled: Sequence[int], strangers: Sequence[int], portraits: slice, seed: int) -> None:
    media, draw = shared_folder("media"), random.Random(seed)
    for person in enrolled:
        _enroll(folder, f"p{person}", [media / _PAIRS.format(number) for number in PEOPLE[person][0]])
    for number, path in enumerate(sorted((media / "age_gender/utkface").glob("*.jpg"))):
        _enroll(folder, f"absent{number}", [path])
    known = [(f"p{person}", _PAIRS, PEOPLE[person][1]) for person in enrolled]
    others = [("", _PAIRS, (*PEOPLE[person][0], *PEOPLE[person][1])) for person in strangers]
    alone = [f"portraits/{path.name}" for path in sorted((media / "portraits").glob("*.jpg"))][portraits]
    rows = ["clip,id,name"]
    for clip in range(CLIPS):
        pool = [(name, pattern.format(draw.choice(pictures))) for name, pattern, pictures in (*known, *others)]
        pool += [("", picture) for picture in alone]
        cast = draw.sample([one for one in pool if one[0]], 1) + draw.sample([one for one in pool if not one[0]], 2)
        actors = [_actor(draw, number, picture) for number, (_, picture) in enumerate(cast)]
        rows += [f"c{clip}.mp4,{number},{name}" for number, (name, _) in enumerate(cast, 1)]
        write_clip(folder / f"c{clip}.mp4", actors, s=CLIP_S)
    (folder / "people.csv").write_text("\n".join(rows) + "\n")


def _enroll(folder: Path, name: str, pictures: Sequence[Path]) -> None:
    (folder / "gallery" / name).mkdir(parents=True)
    for picture in pictures:
        (folder / "gallery" / name / picture.name).symlink_to(picture.resolve())


def _actor(draw: random.Random, number: int, picture: str) -> Actor:
    is_far = draw.random() < 0.6
    near = (60.0, 110.0)
    width = (draw.uniform(30, 45), draw.uniform(36, 60)) if is_far else (draw.uniform(*near), draw.uniform(*near))
    start_y = 0.3 + 0.4 * draw.random()
    start = (draw.uniform(0.1, 0.3), start_y)
    end = (draw.uniform(0.7, 0.9), 0.3 + 0.4 * draw.random())
    start, end = (end, start) if number % 2 else (start, end)
    from_s, turn_deg = draw.uniform(0, 2), draw.uniform(5, 20)
    blur_px = draw.choice([0, 1.5, 3, 5]) * width[0] / 90
    return Actor(number + 1, picture, start, end, width, from_s=from_s, turn_deg=turn_deg, blur_px=blur_px)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_hall(target / "first", (0, 2, 5, 7), (1, 3, 6), slice(None, 5), seed=1)
    write_hall(target / "second", (1, 3, 4, 6, 8), (0, 2), slice(5, None), seed=2)
    write_hall(target / "third", (1, 2, 3, 4, 6, 8), (0, 5, 7), slice(None), seed=3)
