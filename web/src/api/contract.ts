// Written by tools/web_contract.py from shared/; a test compares.

export const VITALS = ["heart_rate", "respiration_rate", "heart_rate_variability", "oxygen_saturation", "stress", "age", "gender", "bmi"] as const
export const MEASURES = ["sdnn_ms", "rmssd_ms", "pnn50", "lf_hf", "mean_ibi_ms"] as const
export const CHECKS = ["face", "obstruction", "liveness", "lighting", "motion", "timing"] as const
export const REASONS = ["clip_too_short", "frame_rate_low", "timing_gaps", "no_face", "face_lost", "multiple_faces", "face_obstructed", "face_too_small", "motion", "low_light", "lighting_unstable", "no_colour", "high_dynamic_range", "not_calibrated", "no_pulse", "estimators_disagree", "no_breathing_signal", "too_uncertain", "not_at_rest", "irregular_pulse", "not_live", "model_not_installed", "clip_rejected", "branch_failed", "branch_timeout", "queue_timeout", "not_requested"] as const
export const JOB_STATES = ["queued", "running", "succeeded", "failed", "cancelled"] as const
export const VITAL_STATUSES = ["ok", "experimental", "abstained", "unavailable"] as const
export const CHECK_STATUSES = ["pass", "warn", "fail", "unknown"] as const
export const BRANCH_STATUSES = ["pending", "running", "ok", "error", "timeout", "skipped"] as const
export const ERROR_CODES = ["clip_undecodable", "clip_too_short", "clip_too_long", "clip_too_large", "container_not_allowed", "codec_not_allowed", "no_video", "clip_missing", "branch_failed", "branch_timeout", "queue_timeout"] as const
export const REJECTIONS = ["clip_undecodable", "clip_too_short", "clip_too_long", "clip_too_large", "container_not_allowed", "codec_not_allowed", "no_video"] as const
export const BRANCHES = {"vision": ["age", "gender", "bmi"], "rppg": ["heart_rate", "respiration_rate", "heart_rate_variability", "oxygen_saturation", "stress"]} as const
export const SHORTEST_S = {"heart_rate": 5, "respiration_rate": 10, "heart_rate_variability": 10, "oxygen_saturation": 10, "stress": 10, "age": 1, "gender": 1, "bmi": 1, "sdnn_ms": 20, "rmssd_ms": 20, "pnn50": 30, "lf_hf": 55, "mean_ibi_ms": 10} as const
export const SHORTEST_CLIP_S = 1.0 as const
export const LONGEST_CLIP_S = 120.0 as const
