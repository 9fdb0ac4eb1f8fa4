/** A rule of an ECR lifecycle policy. Source: Amazon ECR User Guide, "Lifecycle policy properties in Amazon ECR". */
export interface LifecycleRule {
  readonly priority: number;
  readonly description?: string;
  readonly tags: TagSelection;
  readonly storageClass: "standard" | "archive";
  readonly count: Count;
  readonly action: "expire" | "transition";
}

/** Of prefixes or patterns an image needs a tag for each. */
export type TagSelection =
  | { readonly status: "any" | "untagged" }
  | { readonly status: "tagged"; readonly by: "prefixes" | "patterns"; readonly list: readonly string[] };

export type Count =
  | { readonly type: "imageCountMoreThan"; readonly most: number }
  | { readonly type: "sinceImagePushed" | "sinceImagePulled" | "sinceImageTransitioned"; readonly days: number };

export type CountType = Count["type"];

/** What is wrong with a policy's text, in the words that follow ECR's `Lifecycle policy validation failure: `. */
export class LifecyclePolicyError extends Error {}

export const dayMs = 24 * 60 * 60 * 1000;
