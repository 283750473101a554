# A clock of twelve hours is none of ours: all times are UTC, as on every other page.
DATETIME_FORMAT = "j M Y H:i"
DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
