"""What people see: where they pay, subscribe and change that, and what a developer looks at.

Everything works without JavaScript, and nothing is loaded from anywhere else.
"""
