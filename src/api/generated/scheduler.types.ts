// Made by tools/generate-schemas.ts from @aws-sdk/client-scheduler 3.1169.0 (Apache-2.0). Do not edit.
import type * as sdk from "@aws-sdk/client-scheduler";

export interface SchedulerOperations {
  CreateSchedule: { input: sdk.CreateScheduleCommandInput; output: Omit<sdk.CreateScheduleCommandOutput, "$metadata"> };
  CreateScheduleGroup: { input: sdk.CreateScheduleGroupCommandInput; output: Omit<sdk.CreateScheduleGroupCommandOutput, "$metadata"> };
  DeleteSchedule: { input: sdk.DeleteScheduleCommandInput; output: Omit<sdk.DeleteScheduleCommandOutput, "$metadata"> };
  DeleteScheduleGroup: { input: sdk.DeleteScheduleGroupCommandInput; output: Omit<sdk.DeleteScheduleGroupCommandOutput, "$metadata"> };
  GetSchedule: { input: sdk.GetScheduleCommandInput; output: Omit<sdk.GetScheduleCommandOutput, "$metadata"> };
  GetScheduleGroup: { input: sdk.GetScheduleGroupCommandInput; output: Omit<sdk.GetScheduleGroupCommandOutput, "$metadata"> };
  ListScheduleGroups: { input: sdk.ListScheduleGroupsCommandInput; output: Omit<sdk.ListScheduleGroupsCommandOutput, "$metadata"> };
  ListSchedules: { input: sdk.ListSchedulesCommandInput; output: Omit<sdk.ListSchedulesCommandOutput, "$metadata"> };
  ListTagsForResource: { input: sdk.ListTagsForResourceCommandInput; output: Omit<sdk.ListTagsForResourceCommandOutput, "$metadata"> };
  TagResource: { input: sdk.TagResourceCommandInput; output: Omit<sdk.TagResourceCommandOutput, "$metadata"> };
  UntagResource: { input: sdk.UntagResourceCommandInput; output: Omit<sdk.UntagResourceCommandOutput, "$metadata"> };
  UpdateSchedule: { input: sdk.UpdateScheduleCommandInput; output: Omit<sdk.UpdateScheduleCommandOutput, "$metadata"> };
}
