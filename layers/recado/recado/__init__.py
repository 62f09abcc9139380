"""Recado: an SMS gateway. A message's way: accept, (expand,) dispatch, ingest, track, notify."""
