"""Streams in processes of their own, behind one server: `serve --workers N`.

crew.py      all workers, as the server sees them       relay.py     requests about streams, passed on to them
member.py    one of them: started, watched, replaced    visits.py    their events, numbered as one
program.py   that process                               home.py      the server, as a worker sees it
link.py      how both talk                              messages.py  what they say
launcher.py  makes processes of this machine
"""
