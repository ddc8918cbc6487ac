"""Says how long ago something was, in Japanese and English: `3分前 (3 minutes ago)`."""

UNITS = [(86400, "日前", "day"), (3600, "時間前", "hour"), (60, "分前", "minute")]


def ago(seconds):
    for size, japanese, english in UNITS:
        count = int(seconds // size)
        if count:
            return "{}{} ({} {}{} ago)".format(count, japanese, count, english, "s" if count > 1 else "")
    return "たった今 (just now)"
