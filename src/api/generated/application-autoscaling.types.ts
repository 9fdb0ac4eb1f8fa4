// Made by tools/generate-schemas.ts from @aws-sdk/client-application-auto-scaling 3.1141.0 (Apache-2.0). Do not edit.
import type * as sdk from "@aws-sdk/client-application-auto-scaling";

export interface ApplicationAutoscalingOperations {
  DeleteScalingPolicy: { input: sdk.DeleteScalingPolicyCommandInput; output: Omit<sdk.DeleteScalingPolicyCommandOutput, "$metadata"> };
  DeleteScheduledAction: { input: sdk.DeleteScheduledActionCommandInput; output: Omit<sdk.DeleteScheduledActionCommandOutput, "$metadata"> };
  DeregisterScalableTarget: { input: sdk.DeregisterScalableTargetCommandInput; output: Omit<sdk.DeregisterScalableTargetCommandOutput, "$metadata"> };
  DescribeScalableTargets: { input: sdk.DescribeScalableTargetsCommandInput; output: Omit<sdk.DescribeScalableTargetsCommandOutput, "$metadata"> };
  DescribeScalingActivities: { input: sdk.DescribeScalingActivitiesCommandInput; output: Omit<sdk.DescribeScalingActivitiesCommandOutput, "$metadata"> };
  DescribeScalingPolicies: { input: sdk.DescribeScalingPoliciesCommandInput; output: Omit<sdk.DescribeScalingPoliciesCommandOutput, "$metadata"> };
  DescribeScheduledActions: { input: sdk.DescribeScheduledActionsCommandInput; output: Omit<sdk.DescribeScheduledActionsCommandOutput, "$metadata"> };
  GetPredictiveScalingForecast: { input: sdk.GetPredictiveScalingForecastCommandInput; output: Omit<sdk.GetPredictiveScalingForecastCommandOutput, "$metadata"> };
  ListTagsForResource: { input: sdk.ListTagsForResourceCommandInput; output: Omit<sdk.ListTagsForResourceCommandOutput, "$metadata"> };
  PutScalingPolicy: { input: sdk.PutScalingPolicyCommandInput; output: Omit<sdk.PutScalingPolicyCommandOutput, "$metadata"> };
  PutScheduledAction: { input: sdk.PutScheduledActionCommandInput; output: Omit<sdk.PutScheduledActionCommandOutput, "$metadata"> };
  RegisterScalableTarget: { input: sdk.RegisterScalableTargetCommandInput; output: Omit<sdk.RegisterScalableTargetCommandOutput, "$metadata"> };
  TagResource: { input: sdk.TagResourceCommandInput; output: Omit<sdk.TagResourceCommandOutput, "$metadata"> };
  UntagResource: { input: sdk.UntagResourceCommandInput; output: Omit<sdk.UntagResourceCommandOutput, "$metadata"> };
}
