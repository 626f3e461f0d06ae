"""People made of ellipsoids.

Measures are in mm in the head's own frame, whose origin is the middle of the head: x to the person's left, y down,
z backwards; the nose points along -z. Everybody is symmetric: the mirrored image of a person is an image of the same
person.
"""
import numpy as np

from ..biwi import PEOPLE
from .colours import DARK, HAIRS, IRISES, SKINS, WHITE, from_hsv, mix
from .shapes import CLOTH, EYE, HAIR, LID, LIP, NECK, THROAT, TORSO, WIRE, Ball, Paint, Solid, both_sides

STYLES = {"F": ("long", "bun", "bob", "tail", "fringe", "afro"),
          "M": ("short", "bald", "quiff", "crown", "curls", "peaked", "fringe", "long", "crew", "knitted")}
BEARDS = ("full", "full", "stubble", "stubble", "moustache", "moustache", "goatee", *7 * ("",))
PATTERNS = ("plain", "stripes", "yoke", "shirt")


class Person:
    """A person with random looks.

    Measures are factors of the usual ones, colours RGB from 0 to 255. Styles and colours are shuffled and dealt to
    groups of twenty people, so that the people of a group differ.

    Args:
        name (str): a person of Biwi, F01 ... M14, or "25" and higher numbers for others.
        seed (int): another seed gives other people.
    """

    def __init__(self, name: str, seed: int = 0) -> None:
        names = sorted(set(PEOPLE.values()))
        position = names.index(name) if name in names else int(name) - 5
        group, i = divmod(position, 20)
        female, number = names[i][0] == "F", int(names[i][1:]) - 1
        rng = np.random.default_rng([seed, 1, group] if group else [seed, 1])
        styles = {sex: rng.permutation(options) for sex, options in STYLES.items()}["F" if female else "M"]
        skins, hairs = rng.permutation(20) % len(SKINS), rng.permutation(20) % len(HAIRS)
        hue, beard = rng.permutation(20)[i] / 20, rng.permutation(BEARDS)[number]
        rng = np.random.default_rng([seed, 2, position])

        def vary(spread, middle=1.0):
            return float(middle + spread * rng.uniform(-1, 1))

        size = 0.95 if female else 1.02
        self.scale = (vary(0.08, size), vary(0.07, size), vary(0.06, size))  # the head's width, height, depth
        self.jaw = vary(0.14, 1.04 - 0.12 * female)
        width, length, depth = vary(0.3), vary(0.2), vary(0.35)
        self.nose, self.tip = (width, depth), Ball((0, 10 + 20 * length, -90 - 14 * depth), (13 * width, 11, 14))
        eyes_apart, self.eye_size = vary(0.1), vary(0.14, 0.96 + 0.1 * female)
        r = 13.5 * self.eye_size
        self.eye = Ball((31 * eyes_apart, -3, r - 86), (r, r, r))  # the left one
        self.brows = (vary(0.3, 1.25 - 0.45 * female), vary(9, 0))  # thickness; tilt in degrees
        self.mouth = (vary(0.18), vary(0.3, 0.95 + 0.25 * female))  # width, fullness
        self.ears, self.neck = vary(0.2), vary(0.08, 1.06 - 0.18 * female)
        self.shoulders = vary(0.08, 1.05 - 0.15 * female)
        self.hair, self.beard = styles[number % len(styles)], "" if female else beard
        self.glasses = (None, None, DARK, from_hsv(rng.random(), 0.7, 0.5))[rng.integers(4)]  # the colour of the rims
        self.skin, self.hair_colour = SKINS[skins[i]], HAIRS[hairs[i] if skins[i] < 4 else hairs[i] % 2]
        self.nose_tip = mix(self.skin, (225, 90, 80), 0.25)
        self.lips = mix(self.skin, (190, 40, 60), 0.6 if female else 0.38)
        self.iris = IRISES[rng.integers(len(IRISES))]
        self.cloth = from_hsv(hue, rng.uniform(0.3, 0.65), rng.uniform(0.35, 0.8))
        self.second = from_hsv(hue + rng.uniform(0.3, 0.7), 0.4, 0.85)  # the other colour of clothes, hats and bands
        self.pattern = PATTERNS[rng.integers(4)]

    def parts(self) -> list[Solid | Paint]:
        """All solids and paints of the person, before those of the head are multiplied by `scale`."""
        return [*self._skull(), *self._lips(), *self._eyes(), *self._beard(), *self._hair(),
                *self._glasses(), *self._bust(), *self._paints()]

    def points(self) -> dict[str, tuple]:
        """Landmarks on the surface of the head before scaling: nose, eyes, mouth, chin, top."""
        eye, lip, tip = self.eye, self._lips()[0].ball, self.tip
        x, y, z = eye.centre
        z -= eye.radii[2]
        return {"nose": (0, tip.centre[1], tip.centre[2] - tip.radii[2]), "chin": (0, 106, -70), "top": (0, -116, 12),
                "left_eye": (x, y, z), "right_eye": (-x, y, z), "mouth": (0, lip.centre[1] + 3.5, lip.centre[2] - 8)}

    def _skull(self):
        """The head with ears and nose."""
        ear = Ball((82, 6, 20), (7, 30 * self.ears, 19 * self.ears), (-12, 28, 0))
        balls = [Ball((0, -28, 12), (75, 88, 94)), Ball((0, 18, -22), (64, 90, 65)), Ball((0, -26, -62), (54, 13, 20)),
                 Ball((0, 62, -32), (51 * self.jaw, 46, 49)), Ball((0, 91, -62), (24 * self.jaw, 19, 22)),
                 *both_sides(Ball((37, 30, -50), (27, 26, 29)))]
        # The nose: its ridge, tip and wings.
        tip, (width, depth) = self.tip, self.nose
        _, y, z = tip.centre
        lean = -np.degrees(np.arctan2(18 * depth, y + 18))
        nose = [Ball((0, (y - 20) / 2, (z - 78) / 2), (9.5 * width, (y + 24) / 2, 13), (lean, 0, 0)), tip,
                *both_sides(Ball((11 * width, y + 4, z + 11), (8.5 * width, 8, 11)))]
        return [*(Solid(b, self.skin) for b in balls), *both_sides(Solid(ear, mix(self.skin, self.nose_tip, 0.4), LID)),
                *(Solid(b, self.skin, gloss=0.1) for b in nose)]

    def _lips(self):
        width, fullness = self.mouth
        balls = [Ball((0, 58, -80), (22 * width, 5 * fullness, 9)),
                 Ball((0, 63 + 2 * fullness, -78), (17 * width, 6 * fullness, 9.5))]
        return [Solid(b, self.lips, LIP, gloss=0.15) for b in balls]

    def _eyes(self):
        """Eyeballs, lids with an opening, brows."""
        eye, (thickness, tilt) = self.eye, self.brows
        (x, y, z), r = eye.centre, eye.radii[0]
        opening = Ball((x, y + 1, z - r), (r * 0.98, r * 0.54, r), (0, 0, -4))
        brow = Ball((x + 1, y - 12 - 8 * self.eye_size, z - r + 5), (18, 3.6 * thickness, 6), (0, -18, 6 + tilt))
        lid = Ball(eye.centre, 3 * (r + 1.8,))
        return both_sides(Solid(eye, WHITE, EYE, gloss=0.5),
                          Solid(lid, mix(self.skin, self.nose_tip, 0.3), LID, cuts=(opening,), gloss=0.02),
                          Solid(brow, mix(self.hair_colour, DARK, 0.35), HAIR, gloss=0))

    def _paints(self):
        """The paints on head and neck."""
        eye, points = self.eye, self.points()
        (x, y, z), r, iris = eye.centre, eye.radii[0], points["left_eye"]
        stubble = Paint(Ball((0, 84, -52), (66, 52, 58)), mix(self.hair_colour, self.skin, 0.35), soft=0.7, share=0.6)
        return [
            *([stubble] if self.beard == "stubble" else []),
            *both_sides(
                Paint(Ball(iris, 3 * (6.4,)), mix(self.iris, DARK, 0.5), EYE, soft=0.2),
                Paint(Ball(iris, 3 * (5.6,)), self.iris, EYE), Paint(Ball(iris, 3 * (2.8,)), DARK, EYE, soft=0.3),
                Paint(Ball((x, y - r * 0.62, z - r), (r * 1.4, 3.2, r)), (70, 50, 50), EYE, soft=1, share=0.8),
                Paint(Ball((45, 26, -74), (24, 17, 22)), self.nose_tip, soft=1, share=0.7),
                Paint(Ball((82, 6, 14), (12, 17, 9)), mix(self.skin, (120, 40, 30), 0.35), LID, soft=0.8)),
            Paint(Ball(points["nose"], (11, 10, 10)), self.nose_tip, soft=0.6),
            Paint(Ball(points["mouth"], (24 * self.mouth[0], 1.9, 12)), mix(self.lips, DARK, 0.75), LIP, soft=0.8),
            Paint(Ball((0, 84, -40), (62, 60, 52)), mix(self.skin, DARK, 0.6), THROAT, soft=1, share=0.7)]

    def _lock(self, *ball, cuts=(), colour=None, gloss=0.12):
        """A solid of hair, or of a hat in another colour."""
        return Solid(Ball(*ball), colour or self.hair_colour, HAIR, cuts=tuple(cuts), gloss=gloss)

    def _cap(self, thickness, *cuts, **looks):
        """Hair or a hat over the skull, `thickness` in mm, open for the face and the neck."""
        cuts = (Ball((0, 34, -110), (68, 92, 92)), Ball((0, 150, 40), (140, 110, 140)), *cuts)
        return self._lock((0, -30, 14), (76 + thickness, 89 + thickness, 96 + thickness), cuts=cuts, **looks)

    def _hair(self):
        """The hair, and the hat if there is one."""
        lock, cap, hat, ears = self._lock, self._cap, self.second, both_sides(Ball((84, 30, -6), (20, 45, 34)))
        curls = [(78 * np.sin(a), -58, 10 - 78 * np.cos(a)) for a in np.arange(9) * 2 * np.pi / 9]
        curls += [(48 * np.sin(a), -100, 6 - 48 * np.cos(a)) for a in np.arange(6) * np.pi / 3]
        hat_top = [cap(4, *ears), cap(13, Ball((0, 90, 20), (170, 128, 170)), colour=hat, gloss=0)]
        return {
            "bald": [], "short": [cap(8, *ears)], "crew": [cap(4, *ears)],
            "crown": [cap(6, *ears, Ball((0, -84, -62), (120, 84, 122)))],  # what is left around a bald top
            "quiff": [cap(7, *ears), lock((0, -104, -48), (50, 27, 40), (-12, 0, 0))],
            "curls": [cap(6, *ears), *(lock(centre, (27, 25, 27)) for centre in [*curls, (0, -118, 10)])],
            "bun": [cap(7), lock((0, -92, 84), (36, 34, 34))],
            "tail": [cap(7), lock((0, 22, 122), (21, 82, 24), (14, 0, 0)),
                     lock((0, -46, 112), (16, 13, 15), colour=hat)],
            "afro": [lock((0, -40, 26), (114, 110, 110), cuts=(
                Ball((0, 44, -118), (74, 104, 120)), Ball((0, 170, 10), (160, 110, 160))))],
            "fringe": [lock((0, -22, 10), (88, 100, 106), cuts=(
                Ball((0, 66, -110), (72, 92, 100)), Ball((0, 150, 10), (160, 100, 160))))],
            "bob": [cap(7), self._long_hair(80)], "long": [cap(7), self._long_hair(165)],
            "peaked": [*hat_top, Solid(Ball((0, -50, -104), (58, 6, 50), (10, 0, 0)), mix(hat, DARK, 0.3), WIRE)],
            "knitted": [*hat_top,
                        Solid(Ball((0, -42, 10), (93, 19, 109), (-6, 0, 0)), mix(hat, WHITE, 0.4), WIRE, gloss=0),
                        Solid(Ball((0, -138, 16), (24, 22, 24)), WHITE, WIRE, gloss=0)],
        }[self.hair]

    def _long_hair(self, end):
        """Hair beside and behind the face, down to `end` mm below the middle of the head."""
        cuts = (Ball((0, 42, -116), (68, 150, 116)), Ball((0, 150, -80), (90, 80, 112)),
                Ball((0, end + 60, 30), (190, 60, 190)))
        return self._lock((0, 28, 26), (96, 148, 88), cuts=cuts)

    def _beard(self):
        looks = {"colour": mix(self.hair_colour, DARK, 0.2), "gloss": 0.02}
        moustache = both_sides(self._lock((14, 49, -84), (18, 6.5, 9), (0, -20, 14), **looks))
        cuts = (Ball((0, 58, -100), (27, 13, 30)), Ball((0, -12, -70), (84, 60, 100)))
        full = self._lock((0, 66, -30), (60 * self.jaw, 58, 60), cuts=cuts, **looks)
        return {"moustache": moustache, "full": [full, *moustache], "stubble": [], "": [],  # stubble is a paint
                "goatee": [self._lock((0, 94, -68), (22, 24, 22), **looks), *moustache]}[self.beard]

    def _glasses(self):
        """Rims, bridge and arms."""
        if not self.glasses:
            return []
        x, y, _ = self.eye.centre
        rim, lens = (Ball((x + 1, y + 2, -96), radii, (0, -8, 0)) for radii in ((25, 20, 4), (21.5, 16.5, 40)))
        arm = Ball(((x + 105) / 2, y - 2, -42), (2, 3, 56), (0, np.degrees(np.arctan2(55 - x, 108)), 0))
        return [*both_sides(Solid(rim, self.glasses, WIRE, cuts=(lens,), gloss=0.3), Solid(arm, self.glasses, WIRE)),
                Solid(Ball((0, y - 2, -97), (10, 3, 3)), self.glasses, WIRE)]

    def _bust(self):
        """Neck, torso, clothes and their pattern."""
        width, neck = self.shoulders, self.neck
        balls = [Ball((0, 430, 10), (172 * width, 430, 108)),
                 *both_sides(Ball((100 * width, 92, 12), (98 * width, 66, 72), (0, 0, 20)),
                             Ball((168 * width, 460, 14), (60, 380, 66)))]
        pattern = {"plain": [], "yoke": [(Ball((0, 20, 0), (900, 90, 900)), self.second)],
                   "stripes": [(Ball((0, y, 0), (900, 14, 900)), self.second) for y in range(80, 600, 60)],
                   "shirt": [(Ball((0, 130, -110), (38, 190, 90)), WHITE),
                             (Ball((0, 190, -110), (12, 170, 90)), self.second)]}[self.pattern]
        return [Solid(Ball((0, 14, 4), (52 * neck, 94, 55 * neck), (8, 0, 0)), self.skin, THROAT, NECK),
                Solid(Ball((0, 18, 8), (70 * neck, 24, 66 * neck), (12, 0, 0)), self.second, WIRE, TORSO, gloss=0),
                *(Solid(b, self.cloth, CLOTH, TORSO, gloss=0) for b in balls),
                *(Paint(b, colour, CLOTH, TORSO, 0.08) for b, colour in pattern),
                Paint(Ball((0, 14, 10), (120, 70, 105)), mix(self.cloth, DARK, 0.6), CLOTH, TORSO, 1, 0.6)]
