import { playServiceScenario } from "/work/wt/bluegreen/test/simulation/services-scenario.ts";
const [from, to] = process.argv.slice(2).map(Number);
let bad = 0;
for (let seed = from!; seed <= to!; seed++) {
  try {
    await playServiceScenario(seed);
  } catch (e) {
    bad++;
    console.log(seed, (e as Error).message.slice(0, 330));
    if (bad > 12) break;
  }
}
console.log("done", bad);
