"""The same work on many machines: tasks, and the algorithms that divide a fit into them.

`shoal.executor` says what an executor is. `LocalExecutor` does tasks in this process and
`RayExecutor` on the machines of a Ray cluster; nothing else here imports Ray but what starts
training processes. All algorithms are written over an `Executor`, so both give the same bits.
"""
