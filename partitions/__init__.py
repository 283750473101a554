"""The parts that accounts are spread over in Valkey, as PostgreSQL remembers them."""
