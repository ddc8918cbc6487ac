import os


def owner_address():
    """Who is told of new notices. Asked for when it is needed, so that the app starts without it."""
    address = os.environ.get("OWNER_ADDRESS", "")
    if "@" not in address:
        raise RuntimeError("通知先がありません: OWNER_ADDRESS is not set to a mail address in this environment")
    return address
