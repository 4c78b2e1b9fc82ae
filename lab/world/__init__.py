"""The world that clips are drawn from: people, light, motion, cameras and software, as distributions with sources.

`world.toml` states the distributions, `lab.world.conditions` draws the conditions of one clip, `lab.world.pulse` gives
its heart and its breath, and `lab.render` writes it with one of two renderers that share no code:
`lab.simulate.world_frames` warps a portrait, `lab.head3d` turns a head of three dimensions. What is fitted on one is
judged on the other.
"""
