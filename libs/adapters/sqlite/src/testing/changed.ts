import { watch } from "node:fs";

/** Resolves when something is so in a directory, at the change that makes it so. */
export function changed(directory: string, isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!isSo()) return;
      watcher.close();
      resolve();
    };
    const watcher = watch(directory, look);
    look();
  });
}
