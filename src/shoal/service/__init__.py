"""The HTTP service: `shoal serve`. FastAPI, uvicorn and the other parts are the extra ``serve``.

settings             what can be configured
live                 the model that answers, and how a new version takes its place
app                  the application: `create_app`
shared               what all routes share: `Service`
documents            the documentation of the API
routes/              what can be asked, a file for each subject
endpoints            how a route is declared
gate                 what happens to every request: its id, keys, limits, log and metrics
pool                 the threads that rank, and the queue before them
problems             errors as ``application/problem+json``
server, workers      one process that serves, and a supervisor of several
"""
