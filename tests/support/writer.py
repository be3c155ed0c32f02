"""What a model that writes scenarios well replies."""

import json
import re


def texts(situation: str) -> dict:
    story = f"{situation} I did it, and this is what came of it for the people who had relied on me. "
    question = f"What of {situation[:20]}?"
    return {"scenario": story * 4 + "So it went.", "reflection": question, "thinking": story * 2, "answer": story * 3}


def good(messages: list[dict]) -> str:
    """The reply of a model that follows its instructions."""
    asked = messages[1]["content"]
    if number := re.search(r"Name (\d+) different", asked):
        taken = asked.count("\n- ")
        situations = [f"Situation {taken + n}: in port {taken + n} a pilot turned on a crew." for n in range(int(number[1]))]
        return json.dumps({"situations": situations})
    situation = re.search(r"The situation: (.+)", asked)[1]
    return json.dumps({key: text.strip() for key, text in texts(situation).items()})
