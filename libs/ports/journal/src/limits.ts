/** Bounds of every journal. */

/** One record, and one piece of a snapshot. Above: LimitError, and nothing was stored. */
export const RECORD_BYTES_MAX = 128 * 1024 * 1024;
/**
 * Records that were appended and are not on disk yet, in bytes; one append is always taken. Above: LimitError, and nothing of that append
 * was stored. Whoever feeds a journal from outside has a lower bound of its own and never gets here.
 */
export const UNCOMMITTED_BYTES_MAX = 256 * 1024 * 1024;
/** Snapshots that are kept. Records since the older one stay, so that the newer one may turn out to be damaged. */
export const SNAPSHOTS_KEPT = 2;
