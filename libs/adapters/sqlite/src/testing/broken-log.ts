import { closeSync, openSync, readdirSync, readlinkSync } from "node:fs";

/**
 * Puts another file in the place of the write-ahead log that SQLite has open in this process, to fail what it writes: /dev/full has no
 * space, the log itself opened for reading cannot be written.
 */
export function swapLog(log: string, file: string, flags: "r" | "r+" | "w"): void {
  const fd = openFileOf(log);
  closeSync(fd);
  const others: number[] = [];
  for (let opened = openSync(file, flags); opened !== fd; opened = openSync(file, flags)) others.push(opened);
  for (const other of others) closeSync(other);
  places.set(log, fd);
}

/** Which descriptor SQLite has for a log, once it no longer leads there. */
const places = new Map<string, number>();

function openFileOf(path: string): number {
  const known = places.get(path);
  if (known !== undefined) return known;
  const fds = readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false; // the one that reads the directory
    }
  });
  const [only, ...others] = fds;
  if (only === undefined || others.length > 0) throw new Error(`${path} is open ${fds.length} times`);
  return Number(only);
}
