/** Items of one block of a fold: blocks begin at multiples of it, so that how a job was cut changes no result. */
export const FOLD_BLOCK_ITEMS = 4_096;

/**
 * Values that `count` items from index `first` on come down to when a job folds: one for each block that is whole among them, one for each
 * item of other blocks.
 */
export function foldedCount(first: number, count: number): number {
  const end = first + count;
  const wholeFrom = Math.ceil(first / FOLD_BLOCK_ITEMS) * FOLD_BLOCK_ITEMS;
  const wholeUntil = Math.floor(end / FOLD_BLOCK_ITEMS) * FOLD_BLOCK_ITEMS;
  if (wholeUntil <= wholeFrom) return count;
  return wholeFrom - first + (wholeUntil - wholeFrom) / FOLD_BLOCK_ITEMS + (end - wholeUntil);
}
