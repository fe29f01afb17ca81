/** A worker looks at what came in, such as a request to skip a chunk, at least this often between chunks. */
export const TURN_MS = 1;
/** Chunks that took longer are reported one by one; quicker ones share a frame with their neighbours of the same turn. */
export const QUICK_CHUNK_MS = 0.05;
/** So many quick chunks in a row make the next one likely to be quick. */
export const QUICK_CHUNKS_MIN = 16;
/** One line for people about a failure. */
export const SUMMARY_BYTES_MAX = 1024;
/** Functions among arguments that a worker keeps made. Above, the one used longest ago is made again when it is met. */
export const ARGUMENT_FUNCTIONS_MAX = 1_000;
/** A grain that took longer ends its chunk: what was not begun is given back. */
export const GRAIN_LONG_MS = 2;
/** A chunk of several grains that has run for longer ends at the next one. */
export const CHUNK_LONG_MS = 10;
/** So do results of a chunk of several grains that are larger. */
export const PART_RESULT_BYTES = 256 * 1024;
/** Items that are run before a function gets a loop of its own: making one costs as much as some hundred items. */
export const OWN_LOOP_ITEMS = 4_096;
/** Chunks with fewer items run in the common loop: beginning another one would cost more. */
export const OWN_LOOP_ITEMS_MIN = 64;
/** Items of a run of such a loop. */
export const LOOP_ITEMS = 4_096;
/** What an initializer threw, as bytes. Above, it travels as its summary only. */
export const INIT_ERROR_BYTES_MAX = 64 * 1024;
/** Result of one item whose writes count once, encoded: the manager keeps it until the call is over. Above, the item fails with LimitError. */
export const OUTCOME_BYTES_MAX = 1024 * 1024;
/** Results of such items that are made to count together, about. Further items wait for that. */
export const ONCE_AHEAD_BYTES = 4 * 1024 * 1024;
/** What an item has come to is told no more often, but when its process is about to end; of several the newest is. */
export const CHECKPOINT_EVERY_MS = 100;
