"""torch with transformers and PEFT, as their own guides train a LoRA adapter and generate with it."""

import time

import torch
from peft import PeftConfig, PeftModel
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from benchmarks.peers.serve import Worker, gigaflops, serve


class Torch(Worker):
    packages = ("torch", "peft", "transformers")

    def load(self, base: str, adapter: str, dropout: float = 0.0, merge: bool = False) -> None:
        torch.manual_seed(1)
        config = PeftConfig.from_pretrained(adapter)
        config.lora_dropout = dropout
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        self.model = PeftModel.from_pretrained(model, adapter, config=config, is_trainable=not merge)
        if merge:  # as the guides recommend before generating
            self.model = self.model.merge_and_unload().eval()

    def train(self, records: list[dict], settings: dict) -> dict:
        """Seconds of a training on the records in their order, and its losses, one an iteration."""
        begin, losses, size = time.perf_counter(), [], settings["batch_size"]
        self.model.train()
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=settings["learning_rate"])
        for place in range(0, len(records), size):
            ids = torch.tensor([record["ids"] for record in records[place : place + size]])
            targets = ids[:, 1:].clone()
            for row, record in zip(targets, records[place : place + size], strict=True):
                row[: record["start"] - 1] = -100
            loss = self.model(input_ids=ids[:, :-1], labels=targets, shift_labels=targets, use_cache=False).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        return {"seconds": time.perf_counter() - begin, "losses": losses}

    @torch.inference_mode()
    def generate(self, prompts: list[list[int]], tokens: int) -> dict:
        """Seconds of, and ids, of as many greedy tokens after each prompt, all prompts at once, padded on the left."""
        begin, width = time.perf_counter(), max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        self.model.generation_config.eos_token_id = None  # all peers generate the same number
        written = self.model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=tokens, do_sample=False, pad_token_id=0
        )
        return {"seconds": time.perf_counter() - begin, "ids": written[:, width:].tolist()}

    @torch.inference_mode()
    def score(self, records: list[dict], batch_size: int) -> dict:
        """Seconds and mean log-probabilities of the records' tokens in the loss, with logits for those tokens alone."""
        begin, means = time.perf_counter(), []
        for place in range(0, len(records), batch_size):
            batch = records[place : place + batch_size]
            ids = torch.tensor([record["ids"] for record in batch])
            hidden = self.model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
            for row, target, record in zip(hidden, ids, batch, strict=True):
                logits = self.model.lm_head(row[record["start"] - 1 :])
                means.append(-cross_entropy(logits, target[record["start"] :]).item())
        return {"seconds": time.perf_counter() - begin, "means": means}

    def gigaflops(self) -> float:
        a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
        return gigaflops(lambda: a @ b)


if __name__ == "__main__":
    serve(Torch())
