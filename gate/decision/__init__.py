"""The decision: checks, holds, refunds, cold accounts, and the receipt that a charge id is."""
