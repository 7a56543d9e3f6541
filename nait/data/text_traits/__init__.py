"""Traits of texts: topic, language, code, repetition and length."""
