import json
import sys
from pathlib import Path

from referee.judge import Rules, judge, load
from referee.watch import Watch


def main(verb="", *args):
    if verb == "watch" and len(args) == 2:
        Watch(json.loads(Path(args[0]).read_text()), args[1]).run()
        return 0
    if verb == "judge" and len(args) in (1, 2):
        rules = Rules(**json.loads(Path(args[1]).read_text())) \
            if len(args) == 2 else Rules()
        found = judge(load(args[0]), rules)
        print("\n".join(found) or "nothing is wrong")
        return 1 if found else 0
    print("usage: python3 -m referee watch SETUP HISTORY\n"
          "       python3 -m referee judge HISTORY [RULES]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
