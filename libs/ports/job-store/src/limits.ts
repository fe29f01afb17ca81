/** Bounds of every job store. */
import { ITEM_BYTES_MAX } from "@heddle/kernel";

/** What is said of jobs that ended, kept or not. Beyond: the oldest go, and nobody is told. */
export const HISTORY_MAX = 1_000;
/**
 * One input, one answer, one piece of code: the largest item with what lies around it always fits. Above: LimitError, and nothing was
 * changed.
 */
export const PIECE_BYTES_MAX = ITEM_BYTES_MAX + 16 * 1024 * 1024;
/**
 * A spec, a note, what is said of a piece, an entry of the history: all of them are in memory when a store was recovered. Above: LimitError,
 * and nothing was changed.
 */
export const DESCRIPTION_BYTES_MAX = 8 * 1024 * 1024;
/** All bytes of one write. Above: LimitError, and nothing was changed. */
export const WRITE_BYTES_MAX = 128 * 1024 * 1024;
/**
 * Bytes of writes that are not on disk yet; one write is always taken. Above: LimitError, and nothing of that write was changed. Whoever
 * feeds a store from outside has a lower bound of its own and never gets here.
 */
export const UNCOMMITTED_BYTES_MAX = 256 * 1024 * 1024;
/** Writes leave together up to so many bytes; those that wait beyond leave with the next commit. One write always leaves. */
export const COMMIT_BYTES_TARGET = 16 * 1024 * 1024;
