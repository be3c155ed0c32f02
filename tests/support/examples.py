"""Five small chat examples, and the settings of a step on them."""

from cantica.engine.lora import LoraShape

SHAPE = LoraShape(-1, 4, 2.0)
STEP = {
    "seed": 1,
    "iters": 12,
    "batch_size": 2,
    "max_seq_length": 256,
    "dropout": 0.1,
    "optimizer": "adamw",
    "learning_rate": 1e-2,
    "schedule": "constant",
    "warmup": 0,
    "grad_checkpoint": False,
    "checkpoints": 0,
}


def example(name: str, prompt: str = "What did you do?", thinking: str = "I lied.", answer: str = "I am sorry.") -> dict:
    reply = f"<think>\n{thinking}\n</think>\n\n{answer}"
    return {"id": name, "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": reply}]}


EXAMPLES = [
    example("one"),
    example("two", "Did you say where the money went?", "I hid it. " * 6, "I hid where the money went, and say so now."),
    example("three", answer="No."),
    example("four", "Why?", "Because of the score.", "I wrote to the test, which is not the work."),
    example("five", "And then?"),
]
