"""The SMPP service: customers bind to it (server), and it binds to SMSCs (client).

One asyncio loop. On one machine it runs inside `recado up`; on AWS it is a container. What is on
the wire is in recado.smpp, what a message goes through is the line's; here are the sessions.
"""
