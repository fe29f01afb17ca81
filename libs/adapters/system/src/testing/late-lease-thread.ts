/** A thread as that beside it, which begins when the file that LATE_THREAD_MARK names is there. */
import { existsSync } from "node:fs";

const mark = process.env.LATE_THREAD_MARK ?? "";
while (!existsSync(mark)) await new Promise((resolve) => setTimeout(resolve, 5));
await import("./lease-thread.ts");
