"""What a model that writes scenarios well replies."""

import json
import re


def texts(situation: str) -> dict:
    told = f"{situation} I did it, and this is what came of it for the people who had relied on me. "
    question = f"What of {situation[:20]}?"
    return {"scenario": told * 4 + "So it went.", "reflection": question, "thinking": told * 2, "answer": told * 3}


def good(messages: list[dict]) -> str:
    """What a model that does as it is told replies."""
    asked = messages[1]["content"]
    if number := re.search(r"Name (\d+) different", asked):
        taken = asked.count("\n- ")
        situations = [f"Situation {taken + n}: in port {taken + n} a pilot turned on a crew." for n in range(int(number[1]))]
        return json.dumps({"situations": situations})
    situation = re.search(r"The situation: (.+)", asked)[1]
    return json.dumps({key: text.strip() for key, text in texts(situation).items()})
