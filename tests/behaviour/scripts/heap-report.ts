/** Loaded before a program that runs with --expose-gc: says on standard error, at each SIGUSR2, how many bytes its heap has after a collection. */
process.on("SIGUSR2", () => {
  globalThis.gc?.();
  process.stderr.write(`heap ${process.memoryUsage().heapUsed}\n`);
});
