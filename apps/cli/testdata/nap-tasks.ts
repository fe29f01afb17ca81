/** Says that it runs, sleeps, and gives back how long. */
export async function nap(ms: number): Promise<number> {
  console.log("napping");
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
}
