"""Forecast of the time, memory and disk that a pretraining run takes."""
