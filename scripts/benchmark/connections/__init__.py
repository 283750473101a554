"""The same script call through our own connection to Valkey and through libraries for it.

    scripts/bench --clients

docs/decisions/0020 says what came of it.
"""
