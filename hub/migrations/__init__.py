"""Versions of the hub's database, in order; `hub.database` brings a database to the last one."""
