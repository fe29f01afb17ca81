/** The named bounds of judging histories. Each says what happens there. */

/** Steps of the model that one judgement may take, unless told otherwise. Beyond, the verdict is "unknown". Some hundred bytes each are kept. */
export const CHECK_STEPS_MAX = 4_000_000;
/** States that are kept to go on from, the latest ones. Older ones are forgotten, but for those whose depth is a multiple of CHECKPOINT_EVERY; they are computed again when needed. */
export const STATES_KEPT_MAX = 256;
/** Distance in depth of the older states that are kept. */
export const CHECKPOINT_EVERY = 64;
/** Operations of the order that fits which an explanation shows: the last ones. */
export const SHOWN_OPERATIONS_MAX = 12;
/** Operations that could not follow which an explanation shows. */
export const SHOWN_STUCK_MAX = 12;
/** Characters of one value in an explanation. The rest is left out. */
export const SHOWN_CHARS_MAX = 160;
/** Answers that an order must explain more than another to make up for one choice that was not the likeliest. */
export const DEVIATION_COST = 6;
