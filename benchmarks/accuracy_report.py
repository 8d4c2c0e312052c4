def write_report(r, d): pass
def print_tables(r): print({k: v["same_draws"] for k, v in r.items()}); print({k: v["seconds"] for k, v in r.items()})
