"""SMPP 3.4 on the wire: PDUs, texts, times and receipts, as pure functions.

Sessions, which do the talking, are in the top folder `smpp`. Sections named here are those of the
"Short Message Peer to Peer Protocol Specification v3.4, Issue 1.2".
"""
