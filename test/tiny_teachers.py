"""Tiny random checkpoints in the form in which transformers saves the hub's."""

from __future__ import annotations

import pytest

from mtpano_model.classes import load_class_set

ADE150 = dict(enumerate(load_class_set("ade20k150").names))


def swin(transformers):
    return transformers.SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


SMALL = {
    "backbone_config": None,
    "hidden_dim": 32,
    "num_attention_heads": 2,
    "dim_feedforward": 16,
    "encoder_feedforward_dim": 16,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "mask_dim": 32,
    "num_queries": 6,
    "id2label": ADE150,
    "label2id": {name: number for number, name in ADE150.items()},
}


def save_mask2former(folder):
    transformers = pytest.importorskip("transformers")
    config = transformers.Mask2FormerConfig(
        **SMALL | {"backbone_config": swin(transformers), "feature_size": 32}
    )
    transformers.Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)


def save_oneformer(folder):
    transformers = pytest.importorskip("transformers")
    config = transformers.OneFormerConfig(
        **SMALL | {"backbone_config": swin(transformers), "conv_dim": 32},
        task_seq_len=7,
        query_dec_layers=1,
        text_encoder_width=16,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=300,
    )
    transformers.OneFormerForUniversalSegmentation(config).save_pretrained(folder)
    letters = sorted(set("the task is semantic".replace(" ", "")))
    vocab = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer(
        vocab={token: number for number, token in enumerate(vocab)}, merges=[]
    )
    tokenizer.save_pretrained(folder)


def save_eomt(folder):
    transformers = pytest.importorskip("transformers")
    config = transformers.EomtConfig(
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        mlp_ratio=1,
        image_size=32,
        patch_size=8,
        num_blocks=1,
        num_upscale_blocks=1,
        num_queries=6,
        num_register_tokens=1,
        id2label=ADE150,
        label2id=SMALL["label2id"],
    )
    transformers.EomtForUniversalSegmentation(config).save_pretrained(folder)


def save_segformer(folder):
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 8, 8, 8],
        num_attention_heads=[1, 1, 1, 1],
        depths=[1, 1, 1, 1],
        decoder_hidden_size=8,
        id2label=ADE150,
        label2id=SMALL["label2id"],
    )
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)


def save_depth_anything(folder, kind="metric"):
    transformers = pytest.importorskip("transformers")
    backbone = transformers.Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=70,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[4, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        depth_estimation_type=kind,
        max_depth=20,
    )
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
