"""A renderer of the world's clips: a head of three dimensions under several lights, before a camera with its software.

`surface` fits a relief to a portrait, `motion` moves it, `lights` and `skin` give what it reflects, `stage` projects
it before `room` and `body`, and `camera` and `software` turn the light into frames. It shares no code with
`lab.simulate`: software that is fitted on clips of one renderer is judged on those of the other.
"""

from lab.head3d.frames import frames_of

__all__ = ["frames_of"]
