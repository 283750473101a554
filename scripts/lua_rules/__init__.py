"""What `scripts/lint` asks of the Lua in `gate/store/lua`: that it can be read, names what there
is, keeps to what `gate.store.layout` declares, and is formatted.

The files are read as they are written, macros included, so that a finding has its line. luacheck,
selene and StyLua come in no wheel; a grammar of Lua does. That Valkey compiles every script is said
by a test.
"""
