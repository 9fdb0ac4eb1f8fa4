/** Task definitions of the services of the simulation. What becomes of a task, its agent's script says by the end of the family's name. */
const container = (more: object) => ({ name: "main", image: "busybox", essential: true, cpu: 64, memory: 64, ...more });
const healthCheck = { command: ["CMD-SHELL", "true"], interval: 5, timeout: 2, retries: 3, startPeriod: 0 };
const revisions = (count: number, more: object) =>
  Array.from({ length: count }, (_, index) => ({
    containerDefinitions: [container({ environment: [{ name: "REVISION", value: String(index + 1) }], ...more })],
  }));

/** Any port of the host: what load balancers lead to. */
const portMappings = [{ containerPort: 80, hostPort: 0 }];

export const serviceDefinitions = {
  app: revisions(3, { portMappings }),
  checked: revisions(2, { healthCheck, portMappings }),
  /** One for each instance. */
  ported: revisions(2, { portMappings: [{ containerPort: 80, hostPort: 9090 }] }),
  /** Exits as soon as it runs. */
  "app-crash": revisions(1, { portMappings }),
  /** Its image cannot be pulled. */
  "app-nostart": revisions(1, { portMappings }),
  /** Never healthy. */
  "app-ill": revisions(1, { healthCheck, portMappings }),
  /** Healthy first, not for long. */
  "app-sick": revisions(1, { healthCheck, portMappings }),
  big: [{ cpu: "512", memory: "512", containerDefinitions: [{ name: "big", image: "busybox", essential: true }] }],
  /** Fargate's smallest: eight to a machine of the simulation. */
  small: [1, 2].map(() => ({
    networkMode: "awsvpc",
    cpu: "256",
    memory: "512",
    containerDefinitions: [{ name: "main", image: "busybox", essential: true }],
  })),
  "batch-job": [{ containerDefinitions: [container({ cpu: 256 })] }],
};

/** Whether tasks of this definition (name, or ARN) fail by their nature. */
export const isBroken = (definition: string) => /-(crash|nostart|ill|sick)(:\d+)?$/.test(definition);
