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
