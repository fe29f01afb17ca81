// Written in the syntax of Node 12, so that an old Node reads it far enough to say what is wrong.
const wanted = [24, 21];
const have = process.versions.node.split(".").map(Number);

if (have[0] < wanted[0] || (have[0] === wanted[0] && have[1] < wanted[1])) {
  console.error(
    "Heddle needs Node >= " +
      wanted.join(".") +
      "; this is Node " +
      process.versions.node +
      " (" +
      process.execPath +
      ").\n" +
      "Run it through npm (`npm ci`, then `npm run ...` or `npm test`), which brings Node 24, or install Node >= 24.21.",
  );
  process.exit(1);
}
