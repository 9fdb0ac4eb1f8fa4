/** Milliseconds of processor time that this process has had. Unlike real time it does not pass while others have the processor: a tight bound holds on a busy machine. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
