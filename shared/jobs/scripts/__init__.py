"""The Lua scripts of jobs. Every decision that two processes could make at the same time is made in a script.

A broker at its `maxmemory` refuses commands that need memory: `CreateJob` is refused, and so the upload. Scripts that
end an accepted job or free memory set `allow_oom`.
"""
