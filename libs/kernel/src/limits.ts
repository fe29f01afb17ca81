/**
 * The named bounds that more than one ring must agree on. Each says what happens there.
 * Bounds of a single ring live in that ring's own limits.ts.
 */

/** Largest frame on a link, in bytes of its payloads. A larger payload travels as parts. */
export const FRAME_BYTES_MAX = 256 * 1024;
/** Entries in one frame. More wait for the next frame of the same turn. */
export const FRAME_ENTRIES_MAX = 512;
/** Payload bytes that travel inside their entry; above it the payload follows as parts of at most this size. */
export const PART_BYTES_MAX = 128 * 1024;
/** Encoded chunk inputs aim at this size: a chunk of default size is cut short here. */
export const CHUNK_BYTES_TARGET = 1024 * 1024;
/** One item, one result, one chunk payload of one item. Above: LimitError to whoever made it. */
export const ITEM_BYTES_MAX = 64 * 1024 * 1024;
/** Payload of one chunk or of one chunk's results. Above: LimitError; the peer that sends more is dropped. */
export const PAYLOAD_BYTES_MAX = 512 * 1024 * 1024;
/**
 * Operations on shared objects that travel together, in bytes: one with the largest item always fits. Above: LimitError at the client; the
 * peer that sends more is dropped.
 */
export const OPERATIONS_BYTES_MAX = ITEM_BYTES_MAX + 16 * 1024 * 1024;
/** One shipped artifact. Above: LimitError at the client. */
export const ARTIFACT_BYTES_MAX = 64 * 1024 * 1024;
/** Captured values that travel inside the description of their job; above it they are an artifact of their own. */
export const CAPTURED_INLINE_BYTES_MAX = 512;
/** Tasks inside tasks: a call of a task at this depth is refused with LimitError. */
export const NESTING_DEPTH_MAX = 16;
/** Sent and not yet acknowledged bulk bytes per direction of a session. Above: bulk waits, control overtakes it. */
export const SESSION_WINDOW_BYTES = 1024 * 1024;
/** A gRPC message: a full frame and its envelope. Above: the stream ends with RESOURCE_EXHAUSTED and the peer is dropped. */
export const MESSAGE_BYTES_MAX = 1024 * 1024;
/** Lease of nodes and clients: a peer silent for longer is given up. */
export const LEASE_MS = 15_000;
/** A peer with nothing to say says so this often. */
export const HEARTBEAT_MS = 2_000;
/** Chunks of one client that the coordinator holds at a time, and the client, which may have to offer them again. The client waits above it. */
export const CLIENT_CHUNKS_MAX = 16_384;
/**
 * Spans of answered items that are told of a chunk which is offered again. Of a chunk in more pieces the client tells the largest: what it does not tell
 * runs again, and its answers are dropped. More ends the client's session.
 */
export const CHUNK_SETTLED_SPANS_MAX = 1_024;
/** Input bytes of one client that the coordinator holds at a time, and the client in turn, one chunk always allowed. The client waits above it. */
export const CLIENT_INPUT_BYTES_MAX = 64 * 1024 * 1024;
/** Jobs of one client that are open at a time. The client waits above it. */
export const CLIENT_JOBS_MAX = 4_096;
/**
 * Jobs that a worker is prepared for at a time. Agent and worker both forget the one used least recently, in the order of what was sent,
 * and the agent prepares a forgotten one again.
 */
export const WORKER_JOBS_MAX = 1_024;
/**
 * Artifacts that one client offers in a session at a time. A client keeps below it: functions among inputs that need more are a LimitError,
 * jobs that need more wait. A coordinator drops a client that offers more, with a ProtocolError.
 */
export const CLIENT_ARTIFACTS_MAX = 10_000;
/** Items of one chunk. A larger chunk size is a RangeError. */
export const CHUNK_ITEMS_MAX = 0x7fff_ffff;
/** One line of a worker's output; the rest of a longer line follows as further lines. */
export const OUTPUT_LINE_BYTES_MAX = 8 * 1024;
/** The end of a worker's standard error that is kept for WorkerLostError. */
export const STDERR_TAIL_BYTES = 4 * 1024;
/** What an item has come to, as its task says by `checkpoint`, encoded. Above, that throws LimitError; who says more all the same is dropped. */
export const CHECKPOINT_BYTES_MAX = 1024 * 1024;
