"""The Lua scripts of jobs: every decision that two processes could make at once is one of them.

A broker at its `maxmemory` refuses what would take more of it. It refuses `CreateJob`, and so the upload. Whatever
brings an accepted job to its end, or frees memory, sets `allow_oom`.
"""
